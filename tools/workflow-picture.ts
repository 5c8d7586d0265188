import { readFileSync } from 'node:fs';

const DEFINITION = new URL('../statemachine/autoscale.asl.json', import.meta.url);

interface State {
  Type: string;
  Next?: string;
  Default?: string;
  Choices?: { Next: string }[];
  Catch?: { Next: string }[];
  Branches?: Machine[];
}

interface Machine {
  StartAt: string;
  States: Record<string, State>;
}

/** Draws `autoscale.asl.json`: solid arrows where work goes on, dotted ones where an error is caught. */
export function drawWorkflow(): string {
  const machine: Machine = JSON.parse(readFileSync(DEFINITION, 'utf8'));
  const lines = ['flowchart TD', ...draw(machine, '  '), `  begin(( )) --> ${id(machine.StartAt)}`];
  lines.push(
    '  classDef failure stroke:#d97706',
    '  classDef fail stroke:#dc2626',
    '  classDef done stroke:#16a34a',
  );
  return [
    '# The workflow',
    '',
    'Drawn from `autoscale.asl.json` by `npm run generate`.',
    '',
    '```mermaid',
    ...lines,
    '```',
    '',
  ].join('\n');
}

function draw(machine: Machine, indent: string): string[] {
  return Object.entries(machine.States).flatMap(([name, state]) => {
    const arrows = [
      ...[state.Next, state.Default].flatMap((next) =>
        next === undefined ? [] : [`${id(name)} --> ${id(next)}`],
      ),
      ...(state.Choices ?? []).map(({ Next }) => `${id(name)} -- yes --> ${id(Next)}`),
      ...(state.Catch ?? [])
        .filter(({ Next }) => Next !== state.Next)
        .map(({ Next }) => `${id(name)} -.-> ${id(Next)}`),
    ].map((arrow) => indent + arrow);
    if (state.Branches === undefined) return [`${indent}${shape(name, state)}`, ...arrows];
    return [
      `${indent}subgraph ${id(name)}["${name}"]`,
      ...state.Branches.flatMap((branch) => draw(branch, `${indent}  `)),
      `${indent}end`,
      ...arrows,
    ];
  });
}

function shape(name: string, state: State): string {
  if (state.Type === 'Choice') return `${id(name)}{"${name}"}`;
  if (state.Type === 'Fail') return `${id(name)}["${name}"]:::fail`;
  if (state.Type === 'Succeed') return `${id(name)}(["${name}"]):::done`;
  return `${id(name)}["${name}"]${['Count Failure', 'Count Outage'].includes(state.Next ?? '') ? ':::failure' : ''}`;
}

/** Mermaid's names have no spaces; `end` is a word of its own there. */
const id = (name: string) => name.replace('?', 'Choice').replaceAll(/[^A-Za-z]/g, '');
