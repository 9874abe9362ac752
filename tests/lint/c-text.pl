# SPDX-License-Identifier: Apache-2.0
# What checks of C share: the tree's sources with comments and the insides of string literals
# blanked, so that prose may name what code may not.
use strict;
use warnings;
use File::Basename;

my $folder = dirname(__FILE__);

# Pairs of a file's name and its text; blanking keeps the newlines, so that line numbers stay true.
sub blanked_files {
    my @blanked;
    open my $files, '-|', 'bash', '-c', ". $folder/common.sh; c_files" or die "common.sh: $!\n";
    while (my $file = <$files>) {
        chomp $file;
        open my $source, '<', $file or die "$file: $!\n";
        my $text = do { local $/; <$source> };
        close $source;
        $text =~ s{("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(/\*.*?\*/|//[^\n]*)}
                  {defined $1 ? '"' . ' ' x (length($1) - 2) . '"' : $2 =~ s/[^\n]/ /gr}gse;
        push @blanked, [ $file, $text ];
    }
    close $files or die "listing the files failed\n";
    return @blanked;
}

# The line of a text that an offset is in.
sub line_at {
    my ($text, $offset) = @_;
    return 1 + (substr($text, 0, $offset) =~ tr/\n//);
}

1;
