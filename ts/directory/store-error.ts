// Errors of the store, by their remedy.

import { AttentionStoreError } from '../protocol/errors.js'

/**
 * `store_damaged`: its bytes are no store. `store_full`, `store_read_only`: the disk takes no more. `store_io`: a write failed
 * otherwise. `store_invalid`: a fault of ours. `store_closed`: nothing is open.
 */
export type StoreErrorCode = 'store_damaged' | 'store_full' | 'store_read_only' | 'store_io' | 'store_invalid' | 'store_closed'

export class StoreError extends AttentionStoreError {
  override readonly name = 'StoreError'
  constructor(
    override readonly code: StoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, {}, options)
  }
}
