// Names of models on the Hugging Face Hub: `ORG/MODEL[:QUANT][@REV]`.

export interface HubReference {
  /** `ORG/MODEL` */
  readonly repository: string
  /** null: chosen by what the repository has. */
  readonly quant: string | null
  /** A branch, a tag or a commit. */
  readonly revision: string
}

const PART = '[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,95})'
const REFERENCE = new RegExp(`^(${PART}/${PART})(?::([A-Za-z0-9_.-]{1,64}))?(?:@([A-Za-z0-9_][A-Za-z0-9_./-]{0,127}))?$`)

/** null: not such a name. No part of one can leave a folder. */
export function hubReference(name: string): HubReference | null {
  const [, repository, quant, revision = 'main'] = REFERENCE.exec(name) ?? []
  if (repository === undefined || name.includes('..') || /\/\/|\/$/.test(revision)) return null
  return { repository, quant: quant ?? null, revision }
}

export function nameOf({ repository, quant, revision }: HubReference): string {
  return `${repository}${quant === null ? '' : `:${quant}`}${revision === 'main' ? '' : `@${revision}`}`
}
