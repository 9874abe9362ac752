#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Functions that a room's header offers and no room uses. Tests do not count: what only they call
# is kept alive by being tested. A name is used if it stands anywhere but in its prototype and at
# its definition: as a call, in a table of operations, in a clean-up macro.
use strict;
use warnings;
use FindBin;

require "$FindBin::Bin/c-text.pl";

my (%prototype, %count);
for (blanked_files()) {
    my ($file, $text) = @$_;
    next unless $file =~ m{^(?:base|replicator|snapshot|appliance)/};
    $count{$_}++ for $text =~ /\b[a-z]\w+\b/g;
    next unless $file =~ /\.h$/;
    # At the beginning of a line and ending in a semicolon: a prototype, and nothing in a struct.
    while ($text =~ /^(?!typedef|static)[a-z][\w \t*]*?\b(\w+)\([^;{}]*\)[^;{}()]*(?:\([^()]*\))?;/gm) {
        $prototype{$1} //= "$file:" . line_at($text, $-[1]);
    }
}

my @uncalled = grep { $count{$_} <= 2 } sort { $prototype{$a} cmp $prototype{$b} } keys %prototype;
print "$prototype{$_}: nobody calls $_: remove it\n" for @uncalled;
exit(@uncalled > 0);
