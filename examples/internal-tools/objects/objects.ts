/** Objects shown at most. */
export const MAX_OBJECTS = 500;

export interface ObjectList {
  readonly objects: readonly { readonly key: string; readonly size: number; readonly modified: string }[];
  readonly truncated: boolean;
}

export interface Objects {
  /** Objects whose key begins with `prefix`, in key order. */
  list(prefix: string): Promise<ObjectList>;
}

/**
 * Any S3-compatible store when S3_BUCKET is set (S3_ENDPOINT for one that is not AWS; credentials as the AWS SDK finds
 * them), else the folder OBJECTS_FOLDER or the sample beside this file.
 */
export function openObjects(env: NodeJS.ProcessEnv = process.env): Objects {
  let driver: Promise<Objects> | null = null;
  const bucket = env['S3_BUCKET'];
  const open = async () =>
    bucket
      ? (await import('./s3.ts')).openS3({ bucket, endpoint: env['S3_ENDPOINT'], region: env['AWS_REGION'] })
      : (await import('./folder.ts')).openFolder(env['OBJECTS_FOLDER'] ?? `${import.meta.dirname}/sample`);
  return {
    async list(prefix) {
      driver ??= open();
      return (await driver).list(prefix);
    },
  };
}
