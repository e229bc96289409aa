import { ApiError } from '../../protocol/errors.js'
import type { SurfaceContext } from '../surface.js'
import { checkTemplate, wellFormed } from '../turn-fields.js'

/**
 * The template that a request brings, for servers that take one; else the model must have one.
 * @throws ApiError `unsupported_parameter` where the server takes none, `invalid_value` where there is none.
 */
export function requestTemplate(
  template: string | null | undefined,
  { engine, trustRequestTemplates }: Pick<SurfaceContext, 'engine' | 'trustRequestTemplates'>,
): { readonly chatTemplate?: string } {
  if (template === undefined || template === null) {
    checkTemplate(engine.info)
    return {}
  }
  if (trustRequestTemplates) return { chatTemplate: wellFormed(template) }
  const message = "chat_template: The template is the model's own. The server takes one of a request only with --trust-request-templates."
  throw new ApiError('unsupported_parameter', message, 'chat_template')
}
