// Terminals of Lark's library "common", as regular expressions.

const DIGITS = '[0-9]+'
const DECIMAL = `(?:${DIGITS}\\.[0-9]*|\\.${DIGITS})`
const EXPONENT = `[eE][+-]?${DIGITS}`
const FLOAT = `(?:${DIGITS}${EXPONENT}|${DECIMAL}(?:${EXPONENT})?)`
const NUMBER = `(?:${FLOAT}|${DIGITS})`

export const COMMON_TERMINALS: ReadonlyMap<string, string> = new Map([
  ['DIGIT', '[0-9]'],
  ['HEXDIGIT', '[0-9a-fA-F]'],
  ['INT', DIGITS],
  ['SIGNED_INT', `[+-]?${DIGITS}`],
  ['DECIMAL', DECIMAL],
  ['FLOAT', FLOAT],
  ['SIGNED_FLOAT', `[+-]?${FLOAT}`],
  ['NUMBER', NUMBER],
  ['SIGNED_NUMBER', `[+-]?${NUMBER}`],
  ['ESCAPED_STRING', '"(?:[^"\\\\\\n]|\\\\.)*"'],
  ['LCASE_LETTER', '[a-z]'],
  ['UCASE_LETTER', '[A-Z]'],
  ['LETTER', '[A-Za-z]'],
  ['WORD', '[A-Za-z]+'],
  ['CNAME', '[A-Za-z_][A-Za-z0-9_]*'],
  ['WS_INLINE', '[ \\t]+'],
  ['WS', '[ \\t\\f\\r\\n]+'],
  ['CR', '\\r'],
  ['LF', '\\n'],
  ['NEWLINE', '(?:\\r?\\n)+'],
  ['SH_COMMENT', '#[^\\n]*'],
  ['CPP_COMMENT', '//[^\\n]*'],
  ['SQL_COMMENT', '--[^\\n]*'],
])
