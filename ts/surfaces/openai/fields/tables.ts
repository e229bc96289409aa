import { FieldTable } from '../../fields.js'
import { FIELDS, type FieldRoute } from './rows.js'

const tableOf = (route: FieldRoute) => new FieldTable(FIELDS.filter(({ routes }) => routes.includes(route)))

export const chatFields = tableOf('chat')
export const completionFields = tableOf('completions')
