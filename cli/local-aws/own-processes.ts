import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { Writable } from 'node:stream';

/**
 * Reads lists of process groups until its input ends, which it does when the process that writes them has ended, however
 * that ended. Then it kills the groups of the last list and deletes a folder.
 */
const WATCHER = `
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
[ -z "$1" ] || for attempt in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" 2>/dev/null && break; sleep 0.1; done
`;

/**
 * Child processes that must not outlive this process, each with those that it starts itself, and a folder that must not
 * either. A watcher ends them if this process is killed.
 */
export class OwnProcesses {
  readonly #folder: string | undefined;
  readonly #groups = new Set<number>();
  readonly #watcher: ChildProcess;
  readonly #end = () => this.end();

  /** @param folder It is deleted at the end. */
  constructor(folder?: string) {
    this.#folder = folder;
    // In a session of its own, because a closed terminal ends all processes of its session.
    this.#watcher = spawn('/bin/sh', ['-c', WATCHER, 'watcher', folder ?? ''], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    this.#watcher.on('error', () => undefined);
    this.#watcher.stdin?.on('error', () => undefined);
    unreference(this.#watcher);
    process.once('exit', this.#end);
  }

  /** Starts a process in a group of its own, so that all that it starts ends with it. */
  spawn(program: string, words: readonly string[], options: SpawnOptions): ChildProcess {
    const child = spawn(program, words, { ...options, detached: true });
    const { pid } = child;
    if (pid !== undefined) {
      this.#groups.add(pid);
      this.#tell();
      child.once('exit', () => {
        // What the process has started and left behind is of its group still.
        killGroup(pid);
        this.#groups.delete(pid);
        this.#tell();
      });
    }
    return child;
  }

  /** Kills everything, and deletes the folder. */
  end(): void {
    process.off('exit', this.#end);
    for (const group of this.#groups) killGroup(group);
    this.#groups.clear();
    if (this.#folder !== undefined)
      rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    this.#tell();
    this.#watcher.stdin?.end();
  }

  #tell(): void {
    this.#watcher.stdin?.write(`${[...this.#groups].join(' ')}\n`);
  }
}

/** Lets this process end before the watcher. */
function unreference(child: ChildProcess): void {
  child.unref();
  (child.stdin as (Writable & { unref?: () => void }) | null)?.unref?.();
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // The group has already ended.
  }
}
