// A file's texts for people: its comments, its string literals, or the whole of a document.

import ts from 'typescript'
import { rustTestStart } from './clocks.js'
import type { SourceFile } from './tree.js'

export interface Text {
  readonly kind: 'comment' | 'message' | 'prose'
  /** Line of its first character, from 1. */
  readonly line: number
  readonly text: string
}

/** Texts of a TypeScript, Vue, Rust, CUDA or Markdown file; of other files none. */
export function textsOf(file: SourceFile): Text[] {
  if (file.path.endsWith('.md')) return [{ kind: 'prose', line: 1, text: withoutCode(file.text) }]
  if (file.path.endsWith('.vue')) return vueTexts(file.text)
  if (/\.[jt]s$/.test(file.path)) return scriptTexts(file.text)
  if (/\.(rs|cu)$/.test(file.path)) return nativeTexts(file)
  return []
}

/** Code blocks and code spans become spaces, so that places stay. */
function withoutCode(markdown: string): string {
  const blank = (code: string) => code.replace(/[^\n]/g, ' ')
  return markdown.replace(/^```[\s\S]*?^```/gm, blank).replace(/`[^`\n]+`/g, blank)
}

function lineAt(text: string, position: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line++
  return line
}

function scriptTexts(source: string): Text[] {
  const file = ts.createSourceFile('file.ts', source, ts.ScriptTarget.Latest, true)
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line + 1
  const messages: Text[] = []
  // The source without its literals: only there do comments begin where a comment's marks stand.
  let code = ''
  const visit = (node: ts.Node): void => {
    if (isLiteral(node)) {
      const start = node.getStart()
      code += source.slice(code.length, start) + ' '.repeat(node.end - start)
      if (!ts.isRegularExpressionLiteral(node) && !isModuleName(node)) messages.push({ kind: 'message', line: lineOf(start), text: node.text })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  code += source.slice(code.length)
  const comments = [...code.matchAll(SCRIPT_COMMENT)].map(({ index, 0: { length } }) => ({ line: lineOf(index), text: source.slice(index, index + length) }))
  return [...joined(comments), ...messages]
}

const SCRIPT_COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//g

function isLiteral(node: ts.Node): node is ts.LiteralLikeNode {
  return ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node) || ts.isRegularExpressionLiteral(node)
}

function isModuleName({ parent }: ts.Node): boolean {
  return ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent)
}

interface Piece {
  readonly line: number
  readonly text: string
}

/** Comments line by line that follow each other are one text. */
function joined(pieces: readonly Piece[]): Text[] {
  const texts: Array<{ kind: 'comment'; line: number; text: string; next: number }> = []
  for (const { line, text } of pieces) {
    const bare = text.replace(/^\s*(\/\/[/!]?|\/\*+!?|\*+\/|\*)|\*\/$/gm, (marks) => ' '.repeat(marks.length))
    const last = texts.at(-1)
    if (last?.next === line && text.startsWith('//')) {
      last.text += `\n${bare}`
      last.next = line + 1
    } else {
      texts.push({ kind: 'comment', line, text: bare, next: line + text.split('\n').length })
    }
  }
  return texts.map(({ kind, line, text }) => ({ kind, line, text }))
}

const VUE_SCRIPT = /(<script[^>]*>)([\s\S]*?)<\/script>/g

/** The script as TypeScript, the rest (its template) as messages. */
function vueTexts(source: string): Text[] {
  const scripts = [...source.matchAll(VUE_SCRIPT)].flatMap((match) => {
    const before = lineAt(source, match.index + (match[1] ?? '').length) - 1
    return scriptTexts(match[2] ?? '').map((text) => ({ ...text, line: text.line + before }))
  })
  const blank = (part: string) => part.replace(/[^\n]/g, ' ')
  const template = source.replace(VUE_SCRIPT, blank).replace(/<style[\s\S]*?<\/style>|<!--[\s\S]*?-->/g, blank)
  return [...scripts, { kind: 'message', line: 1, text: template }]
}

/** Rust and CUDA: comments, strings, raw strings; single characters are skipped, because they may be quotes. */
const NATIVE = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|r(#+)"[\s\S]*?"\1|r?"(?:\\[\s\S]|[^"\\])*"|'(?:\\.|[^\\'\n])'/g

function nativeTexts(file: SourceFile): Text[] {
  const tests = (file.path.endsWith('.rs') ? rustTestStart(file) : null) ?? Infinity
  const comments: Piece[] = []
  const messages: Text[] = []
  let line = 1
  let from = 0
  for (const { 0: text, index } of file.text.matchAll(NATIVE)) {
    line += file.text.slice(from, index).split('\n').length - 1
    from = index
    if (text.startsWith('/')) comments.push({ line, text })
    else if (!text.startsWith("'") && line < tests) messages.push({ kind: 'message', line, text: text.replace(/\\\n\s*/g, ' ') })
  }
  return [...joined(comments), ...messages]
}
