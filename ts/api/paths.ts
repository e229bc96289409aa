// Which rows of the route table a path has, for what comes before a route: the log, the guards, the methods.

import type { Route } from './route.js'

export type RoutesAt = (path: string) => readonly Route[]

/** As express matches paths: without regard to case or to a slash at the end. */
export function routesByPath(routes: readonly Route[]): RoutesAt {
  const patterns = routes.map((route) => [route, pattern(route.path)] as const)
  return (path) => patterns.filter(([, known]) => known.test(path)).map(([route]) => route)
}

/** `:name` is a part of a path, `*name` one or more. */
function pattern(path: string): RegExp {
  const source = path.replace(/[.+?^$()[\]{}|\\]/g, '\\$&').replace(/:\w+/g, '[^/]+').replace(/\*\w+/g, '.+')
  return new RegExp(`^${source}/?$`, 'i')
}

/** The methods that these routes take, as `Allow` lists them. */
export function methodsOf(routes: readonly Route[]): readonly string[] {
  const methods = new Set(routes.map(({ method }) => method.toUpperCase()))
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods, 'OPTIONS']
}
