import pc from 'picocolors';

/** Colours on terminals only: the library alone would also colour what a CI job keeps as text. */
export const colours = pc.createColors(process.stdout.isTTY === true && pc.isColorSupported);
