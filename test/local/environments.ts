import { pythonEnvironment } from '../../cli/local-aws/python.ts';

/** Makes the emulators' environments before files run beside each other that would each make them. */
export default async function makeEnvironments(): Promise<void> {
  const lists = ['cli/local-aws/ministack.txt', 'test/local/moto.txt'];
  await Promise.all(lists.map((requirements) => pythonEnvironment(requirements, () => undefined)));
}
