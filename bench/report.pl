#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# report.pl FOLDER TARGETS WORDS: the measured runs in FOLDER (see kit.sh) as report.md, and the wall
# ratios as chart.dat for chart.gp. WORDS say how it was run. Exits with 100 if a required figure was
# missed.
use strict;
use warnings;
use POSIX qw(strftime);

my ($folder, $targets, $words) = @ARGV;
die "report.pl: wrong usage\n" unless defined $words;

my %title = (
    'full-copy' => 'Full copy: a replica from nothing',
    'hash-scan' => 'Hash scan: 2% of the blocks changed, no change tracking',
    'hashing' => 'What hashing costs: the scan of an unchanged disk, and the same without hashing',
    'bitmap' => 'Bitmap delta: scattered 64 KiB blocks, named by a dirty bitmap',
    'size' => 'The same bitmap delta on a disk of 1 TiB and on one of 10 GiB',
    'listing' => 'Listing 10,000 dirty extents of 1 TiB',
    'tls' => 'Hash scan over TLS (PSK); nbdcopy_plain reads without TLS',
    'parallel' => 'Ten cycles at once, against one after the other',
    'live' => 'A running guest that wrote 1 MiB: a whole cycle, against an incremental backup',
);
# What a case shows beside the costs of its runs.
my %extra = (
    listing => ['listed_ms'],
    live => ['held_ms', 'beyond_ms'],
    parallel => ['fairness'],
);
# Cases whose tools do not do the same: no ratio of their wall times.
my %unlike = (listing => 1);
my %figure_words = (
    wall => 'wall',
    cpu => 'CPU',
    peak => 'peak MiB',
    rate => 'throughput',
    listed_ms => 'ms from its start until the extents are known',
    held_ms => 'ms the guest\'s snapshot is held',
    beyond_ms => 'ms the guest\'s snapshot is held, without the reading',
    fairness => 'smallest share / largest share',
);

sub read_rows {
    my ($path) = @_;
    open my $file, '<:utf8', $path or return;
    my @rows = map { chomp; [split /\t/] } grep { !/^(#|$)/ } <$file>;
    close $file;
    return @rows;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

sub shown {
    my ($value) = @_;
    return sprintf abs($value) >= 100 ? '%.0f' : abs($value) >= 10 ? '%.1f' : '%.2f', $value;
}

sub range {
    my @sorted = sort { $a <=> $b } @_;
    return sprintf "%s [%s\x{2013}%s]", map { shown($_) } median(@sorted), @sorted[0, -1];
}

# --- the machine --------------------------------------------------------------------------------

# The first line of what a command prints; versions are part of the measurement.
sub first_line {
    my (@command) = @_;
    open my $pipe, '-|', @command or return "$command[0]: not installed";
    my $line = <$pipe> // "$command[0]: unknown";
    close $pipe;
    chomp $line;
    return $line;
}

sub machine {
    my ($cpu, $memory) = ('unknown CPU', 0);
    open my $info, '<', '/proc/cpuinfo' or die "cpuinfo: $!\n";
    while (<$info>) { $cpu = $1 if /^model name\s*:\s*(.*)/ }
    open $info, '<', '/proc/meminfo' or die "meminfo: $!\n";
    while (<$info>) { $memory = $1 / 1024 / 1024 if /^MemTotal:\s*(\d+)/ }
    my $cores = first_line('nproc');
    my $type = first_line('stat', '-f', '-c', '%T', $folder);
    return sprintf '%s, %d cores, %.0f GiB, Linux %s, %s', $cpu, $cores, $memory,
        first_line('uname', '-r'), $type;
}

sub versions {
    return join '; ', map { first_line(@$_) } ['landfall-replicate', '--version'],
        ['nbdcopy', '--version'], ['qemu-img', '--version'], ['nbdkit', '--version'],
        ['rsync', '--version'], ['sh', '-c', 'echo libvirtd $(virsh --version)'],
        ['sh', '-c', 'echo virtnbdbackup $(virtnbdbackup -V | tail -n 1)'];
}

# --- the runs -----------------------------------------------------------------------------------

my (%run, %failed, %tools, %notes);    # run: group, tool, figure, round
my @sizes = read_rows("$folder/sizes.tsv");
my (%seen, @groups);    # the groups of a case together
for my $case (grep { !$seen{$_}++ } map { $_->[0] } @sizes) {
    push @groups, map { "$_->[0]\t$_->[1]" } grep { $_->[0] eq $case } @sizes;
}
my %gib = map { ("$_->[0]\t$_->[1]" => $_->[2]) } @sizes;
push @{ $notes{"$_->[0]\t$_->[1]"} }, $_->[2] for read_rows("$folder/notes.tsv");
for my $row (read_rows("$folder/runs.tsv")) {
    my ($case, $source, $tool, $round, $figure, $value) = @$row;
    my $group = "$case\t$source";
    push @{ $tools{$group} }, $tool unless grep { $_ eq $tool } @{ $tools{$group} };
    if ($figure eq 'failed') { $failed{$group}{$tool} = 1; next }
    $run{$group}{$tool}{$figure}{$round} = $value;
    $run{$group}{$tool}{rate}{$round} = 1 / $value if $figure eq 'wall';
}

sub values_of {
    my ($group, $tool, $figure) = @_;
    return values %{ $run{$group}{$tool}{$figure} // {} };
}

# Pairs the two runs of one round: they saw the same machine.
sub pairs {
    my ($group, $figure, $tool, $peer) = @_;
    my ($ours, $theirs) = map { $run{$group}{$_}{$figure} // {} } $tool, $peer;
    return map { [$ours->{$_}, $theirs->{$_}] } grep { $theirs->{$_} } sort keys %$ours;
}
sub ratios { return map { $_->[0] / $_->[1] } pairs(@_) }
sub differences { return map { $_->[0] - $_->[1] } pairs(@_) }

sub has_tool {
    my ($group, $tool) = @_;
    return grep { $_ eq $tool } @{ $tools{$group} };
}

# --- targets ------------------------------------------------------------------------------------

my ($required_count, $required_met, $goal_met, @target_lines, %chart_marks) = (0, 0, 0);
for my $target (read_rows($targets)) {
    my ($case, $source, $figure, $tool, $sign, $peer, $sense, $required, $goal) = @$target;
    for my $group (grep { /^\Q$case\E\t/ && ($source eq '*' || $_ eq "$case\t$source") } @groups) {
        next if grep { $_ ne '-' && !has_tool($group, $_) } $tool, $peer;
        my @got = $sign eq 'alone' ? values_of($group, $tool, $figure)
            : $sign eq 'over' ? ratios($group, $figure, $tool, $peer)
            : differences($group, $figure, $tool, $peer);
        my $name = ($group =~ s/\t/, /r) . ": $figure_words{$figure}, `$tool`" .
            ($sign eq 'alone' ? '' : ($sign eq 'over' ? " \x{f7} " : " \x{2212} ") . "`$peer`");
        $required_count++;
        $chart_marks{"$group\t$peer"} = [$required, $goal] if $figure eq 'wall';
        if (!@got) {
            push @target_lines, "| $name | not measured | $required | **missed** | $goal | missed |";
            next;
        }
        my $middle = median(@got);
        my $bound = $sense eq 'max' ? "\x{2264}" : "\x{2265}";
        my ($met, $reached) = map { $sense eq 'max' ? $middle <= $_ : $middle >= $_ }
            $required, $goal;
        $required_met++ if $met;
        $goal_met++ if $reached;
        push @target_lines, join ' | ', "| $name", range(@got), "$bound $required",
            $met ? 'reached' : '**missed**', "$bound $goal", ($reached ? 'reached' : 'missed') . ' |';
    }
}

# --- the report ---------------------------------------------------------------------------------

open my $out, '>:utf8', "$folder/report.md" or die "$folder/report.md: $!\n";
open my $data, '>:utf8', "$folder/chart.dat" or die "$folder/chart.dat: $!\n";
print $out "# Landfall against its peers\n\n", machine(), "  \n", versions(), "  \n";
print $out strftime('%Y-%m-%d %H:%M', gmtime), "; $words; tools interleaved, a round to warm up " .
    "dropped, source in page cache. Figures are medians with the smallest and the largest; ratios " .
    "are taken within the rounds, and their median counts.\n";
print $out "\n![Landfall's wall time, divided by the peer's](chart.svg)\n";
if (@target_lines) {
    print $out "\n## Required and goal\n\n$required_met of $required_count required figures " .
        "reached, $goal_met of $required_count goals.\n\n";
    print $out "| figure | measured | required | | goal | |\n|---|---|---|---|---|---|\n";
    print $out "$_\n" for @target_lines;
}

sub peer_columns {
    my ($group, $landfall, $tool) = @_;
    my ($case) = split /\t/, $group;
    my @ratios = $tool eq $landfall || $unlike{$case} ? () : ratios($group, 'wall', $landfall, $tool);
    return ('', '') unless @ratios;
    my ($fastest) = sort { $a <=> $b } values_of($group, $tool, 'wall');
    # The chart is about peers, and Landfall is none of its own.
    if ($tool !~ /^landfall/) {
        my @sorted = sort { $a <=> $b } @ratios;
        my ($required, $goal) = @{ $chart_marks{"$group\t$tool"} // ['-', '-'] };
        printf $data "\"%s: %s\"\t%.4f\t%.4f\t%.4f\t%s\t%s\n", $group =~ s/\t/, /r,
            $tool =~ tr{_}{ }r, median(@ratios), @sorted[0, -1], $required, $goal;
    }
    return (range(@ratios), shown(median(values_of($group, $landfall, 'wall')) / $fastest));
}

sub tool_row {
    my ($group, $landfall, $tool) = @_;
    return "| $tool | failed | | | | | | |" unless values_of($group, $tool, 'wall');
    my @cpu = values_of($group, $tool, 'cpu');
    my $name = $tool . ($failed{$group}{$tool} ? ' (some runs failed)' : '');
    return join ' | ', "| $name", range(values_of($group, $tool, 'wall')), shown(median(@cpu)),
        shown(median(@cpu) / $gib{$group}), shown(median(values_of($group, $tool, 'server'))),
        range(values_of($group, $tool, 'peak')), join(' | ', peer_columns($group, $landfall, $tool)) .
        ' |';
}

my $heading = '';
for my $group (grep { $tools{$_} } @groups) {
    my ($case, $source) = split /\t/, $group;
    my ($landfall) = grep { /^landfall/ } @{ $tools{$group} };
    print $out "\n## ", $title{$case} // $case, "\n" if $heading ne $case;
    $heading = $case;
    printf $out "\n%s, %s of data\n\n", $source, $gib{$group} < 0.1
        ? shown($gib{$group} * 1024) . ' MiB' : shown($gib{$group}) . ' GiB';
    print $out "| tool | wall s | CPU s | CPU s/GiB | server CPU s | peak MiB | $landfall \x{f7} this" .
        " | \x{f7} its fastest run |\n|---|---|---|---|---|---|---|---|\n";
    print $out tool_row($group, $landfall, $_), "\n" for @{ $tools{$group} };
    for my $tool (@{ $tools{$group} }) {
        for my $figure (@{ $extra{$case} // [] }) {
            my @values = values_of($group, $tool, $figure) or next;
            print $out "\n$tool, $figure_words{$figure}: ", range(@values), "\n";
        }
    }
    print $out "\n$_\n" for @{ $notes{$group} // [] };
}
close $data or die "$folder/chart.dat: $!\n";
close $out or die "$folder/report.md: $!\n";
exit($required_met < $required_count ? 100 : 0);
