// The tiers stand once, in the table of ts/protocol/tiers.ts: nothing else lists all of them.

import ts from 'typescript'
import type { Finding, SourceFile } from './tree.js'

/** The table itself. */
const TABLE = 'ts/protocol/tiers.ts'
const SOURCES = /^(ts|web\/src|benches)\/.*\.(ts|vue)$/
const TESTS = /\.test\.ts$/

const INSTEAD = 'a literal list of the tiers: make it from the table of ts/protocol/tiers.ts (TIER_NAMES, perTier, sumTiers, …)'

/**
 * Places where all of `tiers` are named side by side. `allowed`: path → reason, for files whose figures differ from tier to
 * tier.
 */
export function tierListFindings(files: readonly SourceFile[], tiers: readonly string[], allowed: Readonly<Record<string, string>> = {}): Finding[] {
  return files
    .filter(({ path }) => SOURCES.test(path) && !TESTS.test(path) && path !== TABLE && !(path in allowed))
    .filter(({ text }) => tiers.every((tier) => text.includes(tier)))
    .flatMap((file) => linesOf(file, tiers).map((line) => ({ path: file.path, line, message: INSTEAD })))
}

function linesOf({ path, text }: SourceFile, tiers: readonly string[]): number[] {
  if (!path.endsWith('.vue')) return scriptLines(text, tiers)
  const script = /(<script[^>]*>)([\s\S]*?)<\/script>/.exec(text)
  const before = script ? text.slice(0, script.index).split('\n').length - 1 : 0
  const inScript = scriptLines(script?.[2] ?? '', tiers).map((line) => line + before)
  return [...inScript, ...templateLines(text, tiers)]
}

/** Elements one under the other that each have a tier as an attribute. */
function templateLines(text: string, tiers: readonly string[]): number[] {
  const lines = text.split('\n')
  return lines.flatMap((_, at) => {
    const block = lines.slice(at, at + tiers.length)
    const isList = tiers.every((tier) => block.filter((line) => new RegExp(`="(is-)?${tier}"`).test(line)).length === 1)
    return isList ? [at + 1] : []
  })
}

function scriptLines(text: string, tiers: readonly string[]): number[] {
  const file = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true)
  const lines: number[] = []
  const visit = (node: ts.Node): void => {
    const named = new Set(membersOf(node))
    if (tiers.every((tier) => named.has(tier))) {
      lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1)
      return
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return lines
}

/** The names that a node puts side by side. */
function membersOf(node: ts.Node): string[] {
  if (ts.isArrayLiteralExpression(node)) return node.elements.flatMap((element) => (ts.isObjectLiteralExpression(element) ? valuesOf(element) : namesIn(element)))
  if (ts.isObjectLiteralExpression(node)) return node.properties.flatMap((property) => (property.name ? namesIn(property.name) : []))
  if (ts.isObjectBindingPattern(node)) return node.elements.flatMap((element) => namesIn(element.propertyName ?? element.name))
  if (ts.isUnionTypeNode(node)) return node.types.flatMap((type) => (ts.isLiteralTypeNode(type) ? namesIn(type.literal) : []))
  if (ts.isTypeLiteralNode(node) || ts.isInterfaceDeclaration(node)) return node.members.flatMap((member) => (member.name ? namesIn(member.name) : []))
  if (ts.isCaseBlock(node)) return node.clauses.flatMap((clause) => (ts.isCaseClause(clause) ? namesIn(clause.expression) : []))
  if (ts.isBinaryExpression(node)) return operandsOf(node).flatMap(namesIn)
  if (ts.isCallExpression(node)) return node.arguments.flatMap(namesIn)
  return []
}

/** The strings that an object holds: a list of objects may be one of tiers. */
function valuesOf(object: ts.ObjectLiteralExpression): string[] {
  return object.properties.flatMap((property) => (ts.isPropertyAssignment(property) ? namesIn(property.initializer) : []))
}

/** Of `a + b + c` or `a || b || c`: all three. */
function operandsOf(node: ts.Expression): ts.Expression[] {
  if (ts.isParenthesizedExpression(node)) return operandsOf(node.expression)
  return ts.isBinaryExpression(node) ? [...operandsOf(node.left), ...operandsOf(node.right)] : [node]
}

/** A name, a string, or the parts of `a.b.c`. */
function namesIn(node: ts.Node): string[] {
  if (ts.isIdentifier(node) || ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isPropertyAccessExpression(node)) return [node.name.text, ...namesIn(node.expression)]
  return []
}
