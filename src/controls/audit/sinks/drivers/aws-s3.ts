import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { SettingsError } from '../../../../core/internal-error.ts';
import { openSecret } from '../../../../core/settings.ts';
import type { ListedVersions, LockedBucket, ObjectVersion, VersionedBucket } from '../bucket.ts';

export interface S3Address {
  readonly bucket: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  /** References; undefined: what the SDK finds in environment, files and instance. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
}

const CONNECT_MS = 5_000;
const REQUEST_MS = 60_000;
/** More than any of ours has; a bucket may answer with anything. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * S3 by the AWS SDK, which is an optional peer: it is loaded when a bucket is asked for.
 * @throws SettingsError when it is not installed, or a secret cannot be read
 */
export async function openBucket(
  address: S3Address,
  lock: 'COMPLIANCE' | 'GOVERNANCE' = 'COMPLIANCE',
): Promise<LockedBucket & VersionedBucket> {
  const sdk = await load();
  const { bucket: Bucket, endpoint, region, accessKeyId, secretAccessKey } = address;
  const client: S3Client = new sdk.S3Client({
    region,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS, throwOnRequestTimeout: true },
    maxAttempts: 3,
    ...(endpoint && { endpoint, forcePathStyle: true }),
    ...(accessKeyId &&
      secretAccessKey && {
        credentials: {
          accessKeyId: openSecret(accessKeyId).toString().trim(),
          secretAccessKey: openSecret(secretAccessKey).toString().trim(),
        },
      }),
  });
  return {
    async put(Key, bytes, retainUntil) {
      try {
        await client.send(
          new sdk.PutObjectCommand({
            Bucket,
            Key,
            Body: bytes,
            ContentLength: bytes.length,
            ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
            ContentMD5: createHash('md5').update(bytes).digest('base64'),
            IfNoneMatch: '*',
            ObjectLockMode: lock,
            ObjectLockRetainUntilDate: new Date(retainUntil),
          }),
        );
        return 'stored';
      } catch (error) {
        if (statusOf(error) === 412) return 'exists';
        throw told(error, `put ${Key}`);
      }
    },
    async get(Key) {
      try {
        const { Body, ContentLength = 0 } = await client.send(new sdk.GetObjectCommand({ Bucket, Key }));
        if (ContentLength > MOST_BYTES) throw new Error(`${Key} is larger than anything of ours`);
        return Buffer.from(await Body!.transformToByteArray());
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw told(error, `get ${Key}`);
      }
    },
    async *names(Prefix, StartAfter) {
      let ContinuationToken: string | undefined;
      do {
        const page = await client
          .send(new sdk.ListObjectsV2Command({ Bucket, Prefix, StartAfter, ContinuationToken }))
          .catch((error) => Promise.reject(told(error, `list ${Prefix}`)));
        yield (page.Contents ?? []).map(({ Key = '', Size = 0 }) => ({ name: Key, size: Size }));
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },
    async folders(Prefix) {
      const found: string[] = [];
      let ContinuationToken: string | undefined;
      do {
        const page = await client
          .send(new sdk.ListObjectsV2Command({ Bucket, Prefix, Delimiter: '/', ContinuationToken }))
          .catch((error) => Promise.reject(told(error, `list ${Prefix}`)));
        for (const { Prefix: folder = '' } of page.CommonPrefixes ?? [])
          found.push(folder.slice(Prefix.length).replace(/\/$/, ''));
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
      return found;
    },
    async isLocked() {
      try {
        const { ObjectLockConfiguration } = await client.send(new sdk.GetObjectLockConfigurationCommand({ Bucket }));
        return ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
      } catch (error) {
        if (/ObjectLockConfigurationNotFound/.test((error as Error).name)) return false;
        throw told(error, `the bucket ${Bucket}`);
      }
    },
    async *versions(Prefix, flat) {
      let KeyMarker: string | undefined;
      let VersionIdMarker: string | undefined;
      do {
        const page = await client
          .send(
            new sdk.ListObjectVersionsCommand({
              Bucket,
              Prefix,
              KeyMarker,
              VersionIdMarker,
              ...(flat && { Delimiter: '/' }),
            }),
          )
          .catch((error) => Promise.reject(told(error, `list ${Prefix}`)));
        const versions: ObjectVersion[] = [
          ...(page.Versions ?? []).map((version) => versionOf(version, false)),
          ...(page.DeleteMarkers ?? []).map((version) => versionOf(version, true)),
        ];
        yield {
          versions,
          folders: (page.CommonPrefixes ?? []).map(({ Prefix: folder = '' }) => folder),
        } satisfies ListedVersions;
        KeyMarker = page.IsTruncated ? page.NextKeyMarker : undefined;
        VersionIdMarker = page.IsTruncated ? page.NextVersionIdMarker : undefined;
      } while (KeyMarker !== undefined);
    },
    async getVersion(Key, VersionId, from, to) {
      if (to <= from) return Buffer.alloc(0);
      try {
        const Range = `bytes=${from}-${to - 1}`;
        const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket, Key, VersionId, Range }));
        const bytes = Buffer.from(await Body!.transformToByteArray());
        return bytes.subarray(0, to - from);
      } catch (error) {
        throw told(error, `get ${Key} version ${VersionId}`);
      }
    },
    close: () => client.destroy(),
  };
}

async function load(): Promise<typeof import('@aws-sdk/client-s3')> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (cause) {
    throw new SettingsError('S3 needs the package @aws-sdk/client-s3; run: npm install @aws-sdk/client-s3', cause);
  }
}

function versionOf(
  {
    Key = '',
    VersionId = 'null',
    Size = 0,
    LastModified,
  }: {
    Key?: string | undefined;
    VersionId?: string | undefined;
    Size?: number | undefined;
    LastModified?: Date | undefined;
  },
  marker: boolean,
): ObjectVersion {
  return { name: Key, version: VersionId, marker, size: marker ? 0 : Size, at: LastModified?.getTime() ?? 0 };
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** Where the SDK looks first. */
const NO_CREDENTIALS =
  '; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role this machine may take';

/** Name and status only: what a server says besides may hold anything. */
function told(error: unknown, what: string): Error {
  const { name } = error as Error;
  const advice = name === 'CredentialsProviderError' ? NO_CREDENTIALS : '';
  return new Error(`${what}: ${name} ${statusOf(error) ?? ''}`.trim() + advice, { cause: error });
}
