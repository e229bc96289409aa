// npm and npx run a command behind a shell. A signal to them ends the shell, which passes nothing on: the command would be
// left behind, a server with its port and its data directory too.

const INTERVAL_MS = 500

/** The command of a script that is this program alone: in the background, or among others, it is to outlive its shell. */
const OWN_SCRIPT = /^\s*(npx\s+)?['"]?attentionstore['"]?(\s[^&;|]*)?$/

/** True under `npx attentionstore …` and under a script of package.json that is this command. */
export function isStartedByNpm(env: Readonly<Record<string, string | undefined>>): boolean {
  return OWN_SCRIPT.test(env['npm_lifecycle_script'] ?? '')
}

/**
 * Calls `listener` once, when the process that started this one has ended; the returned function ends the watch. The
 * kernel gives an orphan another parent, and tells it by no signal.
 */
export function watchParent(listener: () => void, parentId: () => number = () => process.ppid): () => void {
  const first = parentId()
  const timer = setInterval(() => {
    if (parentId() === first) return
    clearInterval(timer)
    listener()
  }, INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
