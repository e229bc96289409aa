/** Why a grammar cannot be taken, in a sentence that names the line. */
export class LarkError extends Error {
  constructor(line: number, sentence: string) {
    super(`line ${line}: ${sentence}`)
  }
}
