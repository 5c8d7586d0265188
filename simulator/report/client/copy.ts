import { element } from './elements.ts';

/** Copies the lines of fleets.yaml, or selects them if the browser does not allow that. */
export function copyButton(): void {
  if (document.getElementById('copy') === null) return;
  const lines = element('yaml', HTMLPreElement);
  const said = element('copied', HTMLElement);
  element('copy', HTMLButtonElement).addEventListener('click', () => {
    navigator.clipboard.writeText(lines.innerText).then(
      () => {
        said.textContent = 'Copied.';
      },
      () => {
        getSelection()?.selectAllChildren(lines);
        said.textContent = 'Selected: copy it with the keyboard, or the menu.';
      },
    );
  });
}
