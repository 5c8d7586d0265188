import { element } from './elements.ts';

/** Copies lines of fleets.yaml, or selects them if the browser does not allow that. */
export function copyButtons(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-copies]')) {
    const { copies = '', says = '' } = button.dataset;
    const lines = element(copies, HTMLPreElement);
    const said = element(says, HTMLElement);
    button.addEventListener('click', () => {
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
}
