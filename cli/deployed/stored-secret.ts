import {
  CreateSecretCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';

/**
 * Stores the value of a secret. If somebody has deleted the secret, restores it, or makes it again: `cdk deploy` does
 * neither, because the template has not changed. A secret that `fleets.yaml` names is in no template, so it is made here.
 *
 * @param secret.named Whether `fleets.yaml` names it.
 * @param secret.encryptionKey The adopter's KMS key. Default: Secrets Manager's own.
 * @returns What was repaired, for the person who stores the value; `undefined` if nothing was.
 */
export async function storeSecret(
  client: SecretsManagerClient,
  {
    name,
    value,
    named,
    encryptionKey,
  }: { name: string; value: string; named: boolean; encryptionKey: string | undefined },
): Promise<string | undefined> {
  const put = () => client.send(new PutSecretValueCommand({ SecretId: name, SecretString: value }));
  try {
    await put();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    if (error.name === 'InvalidRequestException' && /deletion|deleted/i.test(error.message)) {
      await client.send(new RestoreSecretCommand({ SecretId: name }));
      await put();
      return `Restored the secret ${name}, which was marked for deletion.`;
    }
    if (error.name !== 'ResourceNotFoundException') throw error;
    await client.send(
      new CreateSecretCommand({
        Name: name,
        SecretString: value,
        ...(encryptionKey !== undefined && { KmsKeyId: encryptionKey }),
      }),
    );
    if (named) return `Made the secret ${name}. No stack deletes it.`;
    return `Made the secret ${name} again, which was deleted. CloudFormation does not know the new one: after npx cdk destroy, delete it by hand.`;
  }
}
