import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Stage } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { trustingInstall } from '../userdata/trusting-install.ts';
import { allow } from './permissions.ts';

export interface InstallScriptProps {
  /** Path of the script. Default: it does no more than trust the authorities. */
  file: string | undefined;
  /** Path of a PEM file with authorities that it makes the machine trust first. Default: none. */
  authorities: string | undefined;
}

/** A fleet's `install` script, which the deployment uploads and instances download. */
export class InstallScript extends Asset {
  /** Bucket and key of the script. */
  readonly object: string;
  /** SHA-256 of the script, by which an image records that the script has run. */
  readonly sha256: string;

  constructor(scope: Construct, id: string, props: InstallScriptProps) {
    const path = fileOf(scope, props);
    super(scope, id, { path });
    this.object = `${this.s3BucketName}/${this.s3ObjectKey}`;
    this.sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  }

  /** Allows a role to download the script. */
  allowRead(role: Role): void {
    allow(role, { actions: ['s3:GetObject'], resources: [this.bucket.arnForObjects(this.s3ObjectKey)] });
  }
}

/** The script as it is, or one that is made of it, in the folder of the app. */
function fileOf(scope: Construct, { file, authorities }: InstallScriptProps): string {
  if (authorities === undefined) {
    if (file === undefined) throw new Error(`${scope.node.path} installs nothing`);
    return file;
  }
  const install = file === undefined ? undefined : readFileSync(file, 'utf8');
  const made = join(Stage.of(scope)?.assetOutdir ?? '.', `install.${scope.node.addr}`, 'install.sh');
  mkdirSync(dirname(made), { recursive: true });
  writeFileSync(made, trustingInstall(readFileSync(authorities, 'utf8'), install));
  return made;
}
