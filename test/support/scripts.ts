// Twenty conversations of five turns, in our own words. Each begins with a word of its own, so that no two share a prefix
// beyond the template's first tokens.

export interface Script {
  readonly system: string
  readonly questions: readonly string[]
}

const TEACHERS: ReadonlyArray<readonly [person: string, subject: string, detail: string]> = [
  ['Astronomer', 'the moons of Jupiter', 'tides'],
  ['Baker', 'sourdough bread', 'crust'],
  ['Carpenter', 'a garden bench', 'joints'],
  ['Dentist', 'healthy teeth', 'sugar'],
  ['Electrician', 'a kitchen light', 'fuses'],
  ['Farmer', 'a field of barley', 'rain'],
  ['Geologist', 'old volcanoes', 'basalt'],
  ['Historian', 'the printing press', 'paper'],
  ['Illustrator', 'a picture book', 'ink'],
  ['Jeweller', 'a silver ring', 'polish'],
  ['Kayaker', 'a fast river', 'helmets'],
  ['Librarian', 'a reading room', 'shelves'],
  ['Musician', 'a string quartet', 'rosin'],
  ['Nurse', 'a night shift', 'charts'],
  ['Optician', 'reading glasses', 'lenses'],
  ['Pilot', 'a glider', 'thermals'],
  ['Quilter', 'a warm blanket', 'thread'],
  ['Ranger', 'a mountain forest', 'trails'],
  ['Sailor', 'a small harbour', 'knots'],
  ['Tailor', 'a winter coat', 'buttons'],
]

function toScript([person, subject, detail]: (typeof TEACHERS)[number]): Script {
  return {
    system: `${person} is your trade, and ${subject} is what you like to talk about. You answer in one or two short sentences, in plain words, and you never say that you are a machine. If you do not know something, you say so.`,
    questions: [
      `Tell me one thing about ${subject} that surprises people.`,
      `Why do ${detail} matter for that?`,
      'Can you say the same again, for a child of six?',
      `What would you change about ${subject} if you could?`,
      'Thank you. Give me a last word to remember.',
    ],
  }
}

export const SCRIPTS: readonly Script[] = TEACHERS.map(toScript)
export const TURNS = 5
