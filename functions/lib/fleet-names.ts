/**
 * The names that a fleet may have, in fleets.yaml and as the input of an execution. Keys of fleets.yaml that begin with `x-` are
 * no fleets.
 */
export const FLEET_NAME = /^(?!x-)[A-Za-z][A-Za-z0-9_-]{0,31}$/;

/** The parameter of Systems Manager that holds the id of the image that was built for a fleet. Each launch reads it. */
export const builtImageParameter = (stack: string, fleet: string) => `/${stack}/images/${fleet}`;

/** The parameter of Systems Manager whose versions say which messages about built images were sent. */
export const imageMessagesParameter = (stack: string) => `/${stack}/image-messages`;

/** The parameter of Systems Manager that holds a fleet's settings; a fleet's name is part of its name. */
export const settingsParameter = (stack: string, fleet: string) => `/${stack}/fleets/${fleet}`;

/** The parameter of Systems Manager in which a fleet keeps what it has learned. */
export const learnedParameter = (stack: string, fleet: string) => `/${stack}/learned/${fleet}`;
