import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Which operations of AWS the code sends, read from the code itself, so that a new one cannot be forgotten. */

/** An operation, by the name with which requests of its service are signed: `ssm GetParameter`. */
export type Sent = { operation: string; file: string };

/** Names with which requests are signed, where they differ from those of the clients. */
const SIGNED: Record<string, string> = {
  'auto-scaling': 'autoscaling',
  cloudwatch: 'monitoring',
  'cloudwatch-logs': 'logs',
  'secrets-manager': 'secretsmanager',
  'service-quotas': 'servicequotas',
  sfn: 'states',
};

const FOLDERS = ['functions', 'infra', 'cli', 'fleets', 'sandbox', 'tools'];

/** The operations of the functions and the commands: a command of the SDK that is made, or one that is paged. */
export const sentByTypeScript = (): Sent[] =>
  FOLDERS.flatMap((folder) => filesIn(folder, '.ts')).flatMap((file) => {
    const source = readFileSync(file, 'utf8');
    const clients = [
      ...source.matchAll(/\{([^{}]*)\}\s*(?:=\s*await import\(\s*|from\s*)'@aws-sdk\/client-([a-z0-9-]+)'/g),
    ];
    return clients.flatMap(([, names = '', client = '']) =>
      names.split(',').flatMap((name) => {
        const [, made, paged] = /^\s*(?:([A-Z]\w+)Command|paginate([A-Z]\w+))\s*$/.exec(name) ?? [];
        const operation = made ?? paged;
        return operation === undefined
          ? []
          : [{ operation: `${SIGNED[client] ?? client} ${operation}`, file }];
      }),
    );
  });

/** The operations of the scripts of an instance: words after the functions that send them. */
export const sentByScripts = (): Sent[] =>
  filesIn('userdata', '.sh').flatMap((file) => {
    const source = readFileSync(file, 'utf8');
    const groups = [...source.matchAll(/\b(?:autoscaling|launch_hook) ([A-Z][a-z]\w+)/g)].map(([, name]) => ({
      operation: `autoscaling ${name}`,
      file,
    }));
    const targets = [...source.matchAll(/x-amz-target: ?(\w+)\.(\w+)/gi)].map(([, service = '', name]) => ({
      operation: `${service.toLowerCase().replace(/_\d+$/, '')} ${name}`,
      file,
    }));
    return [...groups, ...targets];
  });

/** The operations of the states of the workflows. */
export const sentByWorkflows = (): Sent[] =>
  filesIn('statemachine', '.asl.json').flatMap((file) =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /"(?:arn:[^"]*:states:::(?:aws-sdk:)?|\$\{)(sns:publish|cloudwatch:putMetricData|SnsPublishArn|CloudWatchPutMetricDataArn)\}?"/g,
      ),
    ].map(([, name = '']) => ({
      operation: /sns/i.test(name) ? 'sns Publish' : 'monitoring PutMetricData',
      file,
    })),
  );

function filesIn(folder: string, end: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path, end);
    return entry.name.endsWith(end) ? [path] : [];
  });
}
