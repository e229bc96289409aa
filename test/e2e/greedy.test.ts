import { declareConversationTests } from './shared/conversations.js'
import { greedy } from './shared/rounds.js'

declareConversationTests('greedy', greedy)
