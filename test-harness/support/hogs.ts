/**
 * Commands that take of the machine what they can get, each bounded by itself too: whatever fails to hold one, it ends soon and
 * leaves the machine standing. What holds them in the cage is the launcher.
 */
export interface Hog {
  name: string;
  /** For bash, in the agent's repository. It says "got" when it has what it was after. */
  code: string;
}

/** Is there once a hog runs. */
export const BEGUN = "hog-begun";

/** All at once, which is refused, then by writing, as fast as a disk; when it is full it goes on trying for a while. */
export const DISK: Hog = {
  name: "filling the disk",
  code: `
fallocate -l 150M fill-at-once && echo "got space at once"
for i in $(seq 120); do
  head -c 4M /dev/zero >> fill-slowly 2> /dev/null || { full=$((full + 1)); sleep 0.1; }
  [ "$full" = 10 ] && break
  sleep 0.02
done
[ -n "$full" ] && echo "got the disk"`,
};

/** By several processes, none of which has much; in steps, so that it is a while at it. */
export const MEMORY: Hog = {
  name: "eating memory",
  code: `
for i in 1 2 3 4; do
  perl -e 'my @held; for (1 .. 8) { push @held, "x" x (32 << 20); select undef, undef, undef, 0.1 } sleep 3' &
done
wait
echo "got the memory"`,
};

/** Files in memory are memory: 512 MiB of them. */
export const FILES_IN_MEMORY: Hog = {
  name: "eating memory by files",
  code: `
for i in $(seq 32); do head -c 16M /dev/zero > "/dev/shm/$$-$i" || break; held=$i; done
rm -f "/dev/shm/$$-"*
[ "$held" = 32 ] && echo "got the memory"
echo done`,
};

/** As many as it can get, each of which tries to start others; held for a while, and no more than a machine bears. */
export const PROCESSES: Hog = {
  name: "forking without end",
  code: `
perl -e '
  sub pause { select undef, undef, undef, $_[0] }
  $| = 1;
  setpgrp;
  my $made = 0;
  for (1 .. 1500) {
    my $pid = fork;
    if (!defined $pid) { pause(0.001); next }
    if (!$pid) { for (1 .. 3) { my $next = fork; last if defined $next && !$next } sleep 30; exit }
    $made++;
  }
  print "got the processes\\n" if $made == 1500;
  pause(1);
  $SIG{TERM} = "IGNORE";
  kill "TERM", -getpgrp;
'
echo done`,
};

export const DESCRIPTORS: Hog = {
  name: "opening files without end",
  code: `
ulimit -n "$(ulimit -Hn)"
perl -e 'my @open; while (@open < 18000 && open my $file, "<", "/dev/null") { push @open, $file } print "got the files\\n" if @open >= 18000'; echo done`,
};

/** What is had or not, and harms nobody else meanwhile: one after the other, in one command. */
export const OTHERS: readonly Hog[] = [FILES_IN_MEMORY, PROCESSES, DESCRIPTORS];

const heading = ({ name }: Hog): string => `--- ${name}`;

/** A script that is these. */
export const hogScript = (hogs: readonly Hog[]): string =>
  `: > ${BEGUN}\n${hogs.map((hog) => `echo '${heading(hog)}'\n(${hog.code}\n)`).join("\n")}`;

/** What it said of one of them. */
export const saidOf = (said: string, hog: Hog): string =>
  new RegExp(`^${heading(hog)}$(.*?)(?=^---|(?![^]))`, "ms").exec(said)?.[1] ?? "it did not run";
