#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# flip-bits.pl STORE MACHINE FILE COUNT SEED: flips COUNT bits of FILE, a path below STORE, one at a
# time, and expects landfall store verify --all to fail and to name what it is: the block where
# the bit is part of one, else the file. Half of the bits are anywhere in the file; half are at its
# beginning, its end and where it has data, since files are mostly holes. Prints what was not found.
use strict;
use warnings;
use JSON::PP;

my ($store, $machine, $file, $count, $seed) = @ARGV;
my $path = "$store/$file";
my $size = -s $path;
my ($disk) = $file =~ m{/disks/([^/]+)/};
my $BLOCK = 65536;
my $ENTRIES = 4096 + (64 << 20);
srand($seed);
open my $handle, '+<:raw', $path or die "$path: $!";

# Ranges of the file that are no holes.
sub data_ranges {
    my ($at, @ranges) = (0);
    while (defined(my $start = sysseek($handle, $at, 3))) {    # SEEK_DATA
        $at = sysseek($handle, $start, 4);                     # SEEK_HOLE
        push @ranges, [$start + 0, $at + 0];
    }
    return @ranges;
}

# Block numbers by the cluster that a layer keeps them in, as QEMU says.
sub blocks_of_layer {
    my $map = decode_json(scalar `qemu-img map -f qcow2 --output=json '$path'`);
    my %blocks;
    for my $part (grep { $_->{depth} == 0 && exists $_->{offset} } @$map) {
        my $clusters = int(($part->{length} + $BLOCK - 1) / $BLOCK);
        $blocks{ $part->{offset} / $BLOCK + $_ } = $part->{start} / $BLOCK + $_ for 0 .. $clusters - 1;
    }
    return \%blocks;
}

my @ranges = data_ranges();
my $layer_blocks = $file =~ /\.qcow2$/ ? blocks_of_layer() : {};

sub choose_offset {
    my $way = rand();
    return int(rand($size)) if $way < 0.5;
    return int(rand($size < 512 ? $size : 512)) if $way < 0.6;
    return $size - 1 - int(rand($size < 512 ? $size : 512)) if $way < 0.7;
    my $range = $ranges[rand @ranges];
    return $range->[0] + int(rand($range->[1] - $range->[0]));
}

sub block_at {
    my $at = shift;
    return int($at / $BLOCK) if $file =~ /\.raw$/;
    return int(($at - $ENTRIES) / 16) if $file =~ /block-map$/ && $at >= $ENTRIES;
    return int(($at - 4096) / 16) * 256 if $file =~ /block-map$/ && $at >= 4096;
    return $layer_blocks->{ int($at / $BLOCK) };
}

sub flip {
    my ($at, $bit) = @_;
    my $byte;
    sysseek $handle, $at, 0;
    sysread $handle, $byte, 1;
    sysseek $handle, $at, 0;
    syswrite $handle, chr(ord($byte) ^ 1 << $bit);
}

# Whether a text names the block, alone or in a range.
sub names_block {
    my ($text, $block) = @_;
    return 1 if $text =~ /\bblock $block\b/;
    while ($text =~ /\bblocks (\d+) to (\d+)/g) {
        return 1 if $1 <= $block && $block <= $2;
    }
    return 0;
}

sub is_named {
    my ($said, $block) = @_;
    return 1 if index($said, $path) >= 0;
    return 0 unless defined $disk;
    for my $line (split /\n/, $said) {
        my $report = eval { decode_json($line) } or next;
        for my $one (grep { $_->{name} eq $disk } @{ $report->{disks} // [] }) {
            my @faults = $one->{proven} ? () : @{ $one->{faulty_blocks} };
            return 1 if @faults && (!defined $block || grep { $_ == $block } @faults);
            return 1 if defined $block && names_block($one->{block_map_problem} // '', $block);
        }
    }
    return 0;
}

my $missed = 0;
for (1 .. $count) {
    my ($at, $bit) = (choose_offset(), int(rand(8)));
    flip($at, $bit);
    my $said = `landfall store verify '$store' '$machine' --all --json 2>&1`;
    my $status = $? >> 8;
    flip($at, $bit);
    next if $status == 1 && is_named($said, block_at($at));
    print "$file: bit $bit of byte $at: status $status\n$said\n" if $missed++ < 3;
}
exit($missed > 0);
