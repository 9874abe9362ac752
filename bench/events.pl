#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# events.pl FILE: figures from the events of one cycle, or of several at once whose disks have
# different names. A line of FILE is the second, a tab, the event as JSON; see measure.c. Prints a
# name and a value a line:
#   listed_ms     from the start of the program until it knew what to read
#   held_ms       how long the guest's snapshot was held
#   beyond_ms     the same without the reading, from the plan to the last byte
#   fairness      of several cycles: what the slowest read while all of them were reading, divided by
#                 what the fastest read in that time
use strict;
use warnings;
use JSON::PP;
use List::Util qw(max min);

my %first;    # event => second
my %begun;    # disk => second
my %read;     # disk => [[second, bytes], …]
my $held_ms;

while (<>) {
    my ($second, $text) = /^([0-9.]+)\t(\{.*)$/ or die "events.pl: line $.: no event: $_";
    my $event = decode_json($text);
    my $name = $event->{event};
    die "events.pl: $event->{message}\n" if $name eq 'error';
    $first{$name} //= $second;
    $begun{ $event->{disk} } = $second if $name eq 'plan';
    $held_ms = $event->{held_ms} if $name eq 'snapshot-ended';
    push @{ $read{ $event->{disk} } }, [$second, $event->{read_bytes}] if $name eq 'progress';
}

# What a disk had read by then. Reports come a few times a second: between two of them the rate is
# taken as even.
sub read_by {
    my ($second, $disk) = @_;
    my ($last_second, $last_bytes) = ($begun{$disk}, 0);
    for (@{ $read{$disk} }) {
        my ($next_second, $bytes) = @$_;
        return $last_bytes + ($bytes - $last_bytes) * ($second - $last_second) /
            ($next_second - $last_second) if $next_second > $second;
        ($last_second, $last_bytes) = ($next_second, $bytes);
    }
    return $last_bytes;
}

# When a disk had been read: its first report of the final count.
sub end_of {
    my @reports = @_;
    my ($end) = grep { $_->[1] == $reports[-1][1] } @reports;
    return $end->[0];
}

printf "listed_ms\t%.1f\n", $first{plan} * 1000 if defined $first{plan};
if (defined $held_ms) {
    printf "held_ms\t%d\n", $held_ms;
    printf "beyond_ms\t%.0f\n", $held_ms - ($first{'source-done'} - $first{plan}) * 1000;
}
if (keys %read > 1) {
    my $begin = max values %begun;
    my $end = min map { end_of(@$_) } values %read;
    my @shares = map { $begin < $end ? read_by($end, $_) - read_by($begin, $_) : 0 } keys %read;
    printf "fairness\t%.3f\n", max(@shares) > 0 ? min(@shares) / max(@shares) : 0;
}
