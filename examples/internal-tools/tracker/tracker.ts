export interface Issue {
  /** Like `PROJ-1`. */
  readonly key: string;
  readonly title: string;
  readonly status: string;
}

export interface Tracker {
  search(jql: string): Promise<readonly Issue[]>;
  create(issue: { title: string; description: string }): Promise<{ readonly key: string }>;
}

/** Issues found at most. */
export const MAX_ISSUES = 50;

/**
 * Jira Cloud when JIRA_URL, JIRA_EMAIL and JIRA_TOKEN are set (JIRA_PROJECT: key of the project, default PROJ), else an
 * embedded tracker in the SQLite file TRACKER_FILE (default: in memory, gone with the process).
 */
export function openTracker(env: NodeJS.ProcessEnv = process.env): Tracker {
  let driver: Promise<Tracker> | null = null;
  const project = env['JIRA_PROJECT'] ?? 'PROJ';
  const { JIRA_URL: url, JIRA_EMAIL: email, JIRA_TOKEN: token } = env;
  const open = async () =>
    url && email && token
      ? (await import('./jira-cloud.ts')).openJiraCloud({ url, email, token, project })
      : (await import('./embedded.ts')).openEmbeddedTracker({ file: env['TRACKER_FILE'] ?? ':memory:', project });
  const ready = () => {
    driver ??= open().catch((error) => {
      driver = null;
      throw error;
    });
    return driver;
  };
  return {
    search: async (jql) => (await ready()).search(jql),
    create: async (issue) => (await ready()).create(issue),
  };
}
