#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# report.pl MODE SIZE_MIB ROUNDS RESULTS SIZES TARGETS CHART: the measured runs as a Markdown table
# on standard output, and the ratios as data for chart.gp.
use strict;
use warnings;
use POSIX qw(strftime);

my ($mode, $size_mib, $rounds, $results, $sizes, $targets, $chart) = @ARGV;
die "report.pl: wrong usage\n" unless defined $chart;

my %title = (
    'full-copy' => 'Full copy: a replica from nothing',
    'hash-scan' => 'Hash scan: 2% of the blocks changed, no change tracking',
    'bitmap' => 'Bitmap delta: scattered 64 KiB blocks, named by a dirty bitmap',
    'size' => 'The same 64 MiB delta on a 10 GiB and on a 1 TiB disk',
    'tls' => 'Hash scan over TLS (PSK); nbdcopy_plain reads without TLS',
    'parallel' => 'Ten first cycles at once, against one after the other',
);

sub read_rows {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    my @rows = map { chomp; [split /\t/] } grep { !/^#/ } <$file>;
    close $file;
    return @rows;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return undef unless @sorted;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

sub range {
    my ($format, @values) = @_;
    my @sorted = sort { $a <=> $b } @values;
    return sprintf "$format [$format\x{2013}$format]", median(@values), $sorted[0], $sorted[-1];
}

# The first line of what a command prints; versions are part of the measurement.
sub first_line {
    my (@command) = @_;
    open my $pipe, '-|', @command or return 'unknown';
    my $line = <$pipe> // 'unknown';
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
    return sprintf '%s, %d cores, %.0f GiB, Linux %s', $cpu, $cores, $memory, first_line('uname', '-r');
}

my %gib = map { ("$_->[0]\t$_->[1]" => $_->[2]) } read_rows($sizes);
my (%run, %failed, @groups, %tools);
for my $row (read_rows($results)) {
    my ($case, $source, $tool, $round, @cost) = @$row;
    my $group = "$case\t$source";
    push @groups, $group unless $tools{$group};
    push @{ $tools{$group} }, $tool unless grep { $_ eq $tool } @{ $tools{$group} };
    if ($cost[0] eq 'failed') { $failed{$group}{$tool} = 1 }
    else { $run{$group}{$tool}{$round} = \@cost }
}
my @targets = read_rows($targets);

binmode STDOUT, ':utf8';
open my $data, '>:utf8', $chart or die "$chart: $!\n";
print "# Landfall against its peers ($mode)\n\n";
print machine(), "  \n";
print join('; ', map { first_line(@$_) } ['landfall-replicate', '--version'], ['nbdcopy', '--version'],
    ['qemu-img', '--version'], ['nbdkit', '--version'], ['rsync', '--version']), "  \n";
printf "%s; disk of %d MiB, %d rounds, tools interleaved, first round dropped, source in page cache\n",
    strftime('%Y-%m-%d', gmtime), $size_mib, $rounds;

my $heading = '';
for my $group (@groups) {
    my ($case, $source) = split /\t/, $group;
    my ($landfall) = grep { /^landfall/ } @{ $tools{$group} };
    print "\n## ", $title{$case} // $case, "\n" if $heading ne $case;
    $heading = $case;
    printf "\n%s, %.2f GiB of data\n\n", $source, $gib{$group};
    print "| tool | wall s | CPU s/GiB | server CPU s | peak MiB | Landfall \x{f7} this | required | goal |\n";
    print "|---|---|---|---|---|---|---|---|\n";
    for my $tool (@{ $tools{$group} }) {
        my %rounds = %{ $run{$group}{$tool} // {} };
        my @cost = values %rounds;
        if (!@cost) { print "| $tool | failed | | | | | | |\n"; next }
        my @shown = (
            range('%.2f', map { $_->[0] } @cost),
            sprintf('%.2f', median(map { $_->[1] + $_->[2] } @cost) / $gib{$group}),
            sprintf('%.2f', median(map { $_->[4] } @cost)),
            sprintf('%.0f', median(map { $_->[3] } @cost)));
        # A ratio pairs the two runs of one round: they saw the same machine.
        my @ratios = map { $run{$group}{$landfall}{$_}[0] / $rounds{$_}[0] }
            grep { $run{$group}{$landfall}{$_} } sort keys %rounds;
        my ($ratio, $required, $goal) = ('', '', '');
        if ($tool ne $landfall && @ratios) {
            $ratio = range('%.2f', @ratios);
            my ($target) = grep { $_->[0] eq $case && ($_->[1] eq '*' || $_->[1] eq $source)
                && $_->[2] eq $tool } @targets;
            if ($target) {
                my $got = median(@ratios);
                $required = "$target->[3] " . ($got <= $target->[3] ? 'met' : '**missed**');
                $goal = "$target->[4] " . ($got <= $target->[4] ? 'met' : 'missed');
            }
            # The chart is about peers, and Landfall is none of its own.
            if ($tool !~ /^landfall/) {
                my @sorted = sort { $a <=> $b } @ratios;
                printf $data "\"%s, %s: %s\"\t%.4f\t%.4f\t%.4f\n", $case, $source,
                    $tool =~ tr{_}{ }r, median(@ratios), $sorted[0], $sorted[-1];
            }
        }
        $tool .= ' (some runs failed)' if $failed{$group}{$tool};
        print '| ', join(' | ', $tool, @shown, $ratio, $required, $goal), " |\n";
    }
}
close $data or die "$chart: $!\n";
