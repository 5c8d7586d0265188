import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { allow } from './permissions.ts';

export interface InstallScriptProps {
  /** Path of the script. */
  file: string;
}

/** A fleet's `install` script, which the deployment uploads and instances download. */
export class InstallScript extends Asset {
  /** Bucket and key of the script. */
  readonly object: string;
  /** SHA-256 of the script, by which an image records that the script has run. */
  readonly sha256: string;

  constructor(scope: Construct, id: string, { file }: InstallScriptProps) {
    super(scope, id, { path: file });
    this.object = `${this.s3BucketName}/${this.s3ObjectKey}`;
    this.sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  }

  /** Allows a role to download the script. */
  allowRead(role: Role): void {
    allow(role, { actions: ['s3:GetObject'], resources: [this.bucket.arnForObjects(this.s3ObjectKey)] });
  }
}
