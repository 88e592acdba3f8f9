/** How the agent hears of decisions: they come into its conversation, or it asks for them. */
const HEARD = {
  told: `Messages that begin with "[Suggestion Feedback]" are the developer's decisions.`,
  asks: `wait_for_feedback answers with the developer's decisions, once there are some.`,
};

/** What every model is told of the review, whatever it knows of jj: short, since it is part of each request. */
export const systemText = (hears: "told" | "asks"): string => `# Review by the developer

This working copy is yours: a jj repository, apart from the developer's files. Nothing you do here reaches the developer until you publish it; the developer then accepts, changes or rejects it hunk by hunk.

- When a change is complete and its tests pass, call publish_suggestion with a description that can stand as the commit message. You need no git commit or jj commit before: jj has recorded your edits. Publish one purpose at a time, and do not end your turn with finished work unpublished.
- After publishing, your working copy is a new empty change on top of the published one.
- ${HEARD[hears]} Rejected hunks have been taken out of your files and the developer's own versions put in: read a file again before you edit it, and do not bring back what was rejected.
- To revise: jj edit <change id of the suggestion> (list_suggestions names it), edit the files, then call publish_suggestion again. The same change becomes a new revision, and what was decided on unchanged hunks is kept.
- get_suggestion shows every hunk with its state and the developer's comments. recall_feedback shows what was decided before, with the reasons. suggestion_status tells the developer in one line what you are doing.
- Useful: jj st, jj diff, jj log, jj undo. Do not push, and do not rewrite commits that are on a shared branch.`;
