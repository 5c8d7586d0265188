import { readdirSync, readFileSync } from 'node:fs';

/** The commands of the AWS CLI that the documents show in blocks, each once and on one line. */
export function documentedCommands(): string[] {
  const folders = ['docs', 'docs/decisions', 'examples'];
  const documents = folders.flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`));
  const texts = ['README.md', 'SECURITY.md', ...documents.filter((file) => file.endsWith('.md'))];
  const blocks = texts.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^ *```(?:sh|text)\n([\s\S]*?)^ *```/gm)].map(
      ([, block = '']) => block,
    ),
  );
  const lines = blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'));
  return [...new Set(lines.map((line) => line.trim()).filter((line) => line.startsWith('aws ')))];
}

/**
 * A documented command for the AWS CLI of PyPI, which is version 1. The documents are for version 2, whose `logs tail`
 * version 1 lacks: `filter-log-events` sends the same request.
 */
export function forVersion1(command: string): string {
  return command.replace(
    /^aws logs tail (\S+) --since \S+/,
    'aws logs filter-log-events --log-group-name $1',
  );
}
