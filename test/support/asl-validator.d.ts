declare module 'asl-validator' {
  interface Verdict {
    isValid: boolean;
    errorsText: (separator?: string) => string;
  }
  /** Changes the definition that it is given. */
  export default function validate(definition: object): Verdict;
}
