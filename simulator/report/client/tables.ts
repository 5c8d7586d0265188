/** Sorts a table by a column when its heading is clicked: ascending first, then descending. */
export function sortableTables(): void {
  for (const table of document.querySelectorAll<HTMLTableElement>('table.sortable')) {
    const heads = [...table.querySelectorAll('thead th')];
    for (const [column, head] of heads.entries()) {
      head.querySelector('button')?.addEventListener('click', () => {
        const descending = head.getAttribute('aria-sort') === 'ascending';
        for (const other of heads) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
        sort(table, column, descending);
      });
    }
  }
}

function sort(table: HTMLTableElement, column: number, descending: boolean): void {
  const body = table.tBodies[0];
  if (body === undefined) return;
  const valueIn = (row: HTMLTableRowElement) => row.cells[column]?.dataset.value ?? '';
  const rows = [...body.rows].sort((a, b) => {
    const [one, other] = descending ? [valueIn(b), valueIn(a)] : [valueIn(a), valueIn(b)];
    return compare(one, other);
  });
  body.append(...rows);
}

/** Compares numbers by value, and everything else by the alphabet. */
function compare(one: string, other: string): number {
  const difference = Number(one) - Number(other);
  return Number.isNaN(difference) ? one.localeCompare(other, 'en') : difference;
}
