#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Calls we do not make, from banned.tsv, each with its replacement. Comments and the insides of
# string literals are blanked before the look, so that prose may name what the code may not call.
use strict;
use warnings;
use FindBin;

require "$FindBin::Bin/c-text.pl";

# What is banned by its name is found in one look through a file for all calls, what by a pattern in one for each.
my (@rules, %rules_of);
open my $table, '<', "$FindBin::Bin/banned.tsv" or die "banned.tsv: $!\n";
while (<$table>) {
    chomp;
    next if /^(#|\s*$)/;
    my ($what, $where, $instead) = split /\t/;
    die "banned.tsv:$.: three columns, please\n" unless defined $instead;
    my $pattern = $what =~ s/^~// ? qr/$what/ : undef;
    my @globs = map { my $glob = quotemeta; $glob =~ s/\\\*/.*/g; qr/^$glob$/ } split /,/, $where;
    my $rule = { pattern => $pattern, globs => \@globs, instead => $instead };
    if ($pattern) { push @rules, $rule }
    else { push @{ $rules_of{$_} }, $rule for split /\|/, $what }
}
close $table;

my $findings = 0;

sub judge {
    my ($file, $text, $at, $call, $rule) = @_;
    return if grep { $file =~ $_ } @{ $rule->{globs} };
    print "$file:" . line_at($text, $at) . ": $call: use $rule->{instead}\n";
    $findings++;
}

for (blanked_files()) {
    my ($file, $text) = @$_;
    while ($text =~ /(?<![\w.>])([A-Za-z_]\w*)\s*\(/g) {
        my ($call, $at) = ($1, $-[0]);
        judge($file, $text, $at, $call, $_) for @{ $rules_of{$call} // [] };
    }
    for my $rule (@rules) {
        while ($text =~ /$rule->{pattern}/g) {
            my $at = $-[0];
            judge($file, $text, $at, $& =~ s/\s*\($//r, $rule);
        }
    }
}
exit($findings ? 1 : 0);
