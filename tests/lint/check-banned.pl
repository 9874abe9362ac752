#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Calls we do not make, from banned.tsv, each with its replacement. Comments and the insides of
# string literals are blanked before the look, so that prose may name what the code may not call.
use strict;
use warnings;
use FindBin;

require "$FindBin::Bin/c-text.pl";

my @rules;
open my $table, '<', "$FindBin::Bin/banned.tsv" or die "banned.tsv: $!\n";
while (<$table>) {
    chomp;
    next if /^(#|\s*$)/;
    my ($what, $where, $instead) = split /\t/;
    die "banned.tsv:$.: three columns, please\n" unless defined $instead;
    my $pattern = $what =~ s/^~// ? qr/$what/ : qr/(?<![\w.>])(?:$what)\s*\(/;
    my @globs = map { my $glob = quotemeta; $glob =~ s/\\\*/.*/g; qr/^$glob$/ } split /,/, $where;
    push @rules, { pattern => $pattern, globs => \@globs, instead => $instead };
}
close $table;

my $findings = 0;
for (blanked_files()) {
    my ($file, $text) = @$_;
    for my $rule (@rules) {
        next if grep { $file =~ $_ } @{ $rule->{globs} };
        while ($text =~ /$rule->{pattern}/g) {
            my $line = line_at($text, $-[0]);
            my $call = $& =~ s/\s*\($//r;
            print "$file:$line: $call: use $rule->{instead}\n";
            $findings++;
        }
    }
}
exit($findings ? 1 : 0);
