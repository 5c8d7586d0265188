import { fleetStackName, STACK_NAME } from './names.ts';

/** Deployed fleets that the file does not have. They keep running, because no deployment deletes a fleet. */
export const undeclaredFleets = (deployed: string[], inFile: string[]): string[] =>
  deployed.filter((fleet) => !inFile.includes(fleet));

/** How to remove such a fleet: `npx cdk destroy` finds only the stacks of the file. */
export const adviceAboutUndeclared = (app: string, fleet: string): string => {
  const ofApp = app === STACK_NAME ? '' : ` --stack ${app}`;
  return `npm run drain -- ${fleet}${ofApp}, and when its instances are gone, aws cloudformation delete-stack --stack-name ${fleetStackName(app, fleet)}`;
};
