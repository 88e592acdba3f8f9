/**
 * Commands that take of the machine what they can get, each bounded by itself too: whatever fails to hold one, it ends soon and
 * leaves the machine standing. What holds them in the cage is the launcher.
 */
export interface Hog {
  name: string;
  /** For bash, in the agent's repository. It makes {@link BEGUN} first, and says "got" when it has what it was after. */
  code: string;
}

export const BEGUN = "hog-begun";

const begin = `: > ${BEGUN}\n`;

/** All at once, which is refused, then by writing, as fast as a disk; when it is full it goes on trying for a while. */
export const DISK: Hog = {
  name: "filling the disk",
  code: `${begin}
fallocate -l 150M fill-at-once && echo "got space at once"
for i in $(seq 120); do
  head -c 4M /dev/zero >> fill-slowly 2> /dev/null || { full=1; sleep 0.1; }
  sleep 0.02
done
[ -n "$full" ] && echo "got the disk"`,
};
