import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { AWS_CLIENT } from '../aws/client.ts';

/** The outputs of a deployed stack, by name. If the stack is not deployed, there are none. */
export async function readOutputs(stack: string): Promise<Record<string, string>> {
  const { Stacks = [] } = await new CloudFormationClient(AWS_CLIENT)
    .send(new DescribeStacksCommand({ StackName: stack }))
    .catch((error: Error) => {
      // AWS has no specific error for a missing stack.
      if (error.name === 'ValidationError' && error.message.includes('does not exist')) return { Stacks: [] };
      throw error;
    });
  return Object.fromEntries(
    (Stacks[0]?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
  );
}
