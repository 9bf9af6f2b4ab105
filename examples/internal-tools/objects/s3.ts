import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { MAX_OBJECTS, type Objects } from './objects.ts';

/** Without these the SDK waits for ever. */
const TIMEOUTS = { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true };

export function openS3(options: { bucket: string; endpoint: string | undefined; region: string | undefined }): Objects {
  const client = new S3Client({
    region: options.region ?? 'us-east-1',
    ...(options.endpoint ? { endpoint: options.endpoint, forcePathStyle: true } : {}),
    requestHandler: TIMEOUTS,
    maxAttempts: 2,
  });
  return {
    async list(prefix) {
      const answer = await client.send(
        new ListObjectsV2Command({ Bucket: options.bucket, Prefix: prefix, MaxKeys: MAX_OBJECTS }),
      );
      const objects = (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
        key: Key ?? '',
        size: Size ?? 0,
        modified: LastModified?.toISOString() ?? '',
      }));
      return { objects, truncated: answer.IsTruncated ?? false };
    },
  };
}
