/** A scan that cannot be used; the message names it and a remedy, as on the command line. */
export class Refusal extends Error {}
