#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Calls we do not make, from banned.tsv, each with its replacement. Comments and the insides of
# string literals are blanked before the look, so that prose may name what the code may not call.
use strict;
use warnings;
use File::Basename;

my $folder = dirname(__FILE__);
my @rules;
open my $table, '<', "$folder/banned.tsv" or die "banned.tsv: $!\n";
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
open my $files, '-|', 'bash', '-c', ". $folder/common.sh; c_files" or die "common.sh: $!\n";
while (my $file = <$files>) {
    chomp $file;
    open my $source, '<', $file or die "$file: $!\n";
    my $text = do { local $/; <$source> };
    close $source;
    # Blanking keeps the newlines, so that line numbers stay true.
    $text =~ s{("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(/\*.*?\*/|//[^\n]*)}
              {defined $1 ? '"' . ' ' x (length($1) - 2) . '"' : $2 =~ s/[^\n]/ /gr}gse;
    for my $rule (@rules) {
        next if grep { $file =~ $_ } @{ $rule->{globs} };
        while ($text =~ /$rule->{pattern}/g) {
            my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
            my $call = $& =~ s/\s*\($//r;
            print "$file:$line: $call: use $rule->{instead}\n";
            $findings++;
        }
    }
}
close $files or die "listing the files failed\n";
exit($findings ? 1 : 0);
