// The package's public API: a server in your process, and the types to talk about it.

export { ApiError, AttentionStoreError, EngineError, ExitError } from './protocol/errors.js'
export type { RawOptions } from './config/options.js'
export type { ServerInfo } from './protocol/events.js'
export type { CacheStatus, InferenceService, ServiceCounters, Turn, TurnEvent, TurnRequest } from './service/types.js'
export { startServer, type RunningServer, type ServerHooks } from './server.js'
export { VERSION } from './version.js'
