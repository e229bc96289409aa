import { declareConversationTests } from './shared/conversations.js'
import { sampled } from './shared/rounds.js'

declareConversationTests('temperature 1', sampled)
