#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# liar-server.pl SOCKET FILE HOW: an NBD server that serves FILE read-only and answers block status
# in a way that no good server does. HOW is one of the table below. The protocol is that of NBD's
# doc/proto.md: newstyle, structured replies, base:allocation as context 1.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($path, $file, $how) = @ARGV;
my $size = -s $file;
my $all = 0xffffffff;
my $ZERO = 2;

# For the range asked for: chunks of [context, length, flags, length, flags, …].
my %answers = (
    'good'          => sub { ([ 1, $_[1], 0 ]) },
    'beyond-end'    => sub { ([ 1, $all, 0, $all, $ZERO ]) },
    'far-beyond'    => sub { ([ 1, map { ($all, 0) } 1 .. 10000 ]) },
    'empty-first'   => sub { ([ 1, 0, $ZERO, 0, 0, $_[1], 0 ]) },
    'empty-last'    => sub { ([ 1, $_[1], 0, 0, $ZERO ]) },
    'all-empty'     => sub { ([ 1, 0, 0, 0, $ZERO ]) },
    'nothing'       => sub { ([1]) },
    'no-chunk'      => sub { () },
    'half-a-pair'   => sub { ([ 1, $_[1] ]) },
    'other-context' => sub { ([ 7, $_[1], $ZERO ]) },
    'both-contexts' => sub { ([ 7, $_[1], $ZERO ], [ 1, $_[1], 0 ]) },
    'repeated'      => sub { ([ 1, $_[1], 0 ], [ 1, $_[1], $ZERO ]) },
    'in-pieces'     => sub { ([ 1, $_[1] > 65536 ? 65536 : $_[1], 0 ]) },
    'odd-pieces'    => sub { ([ 1, $_[1] > 33333 ? 33333 : $_[1], 0 ]) },
    'unknown-flags' => sub { ([ 1, $_[1], 0xfffffffd ]) },
    'many'          => sub { ([ 1, map { (512, 0) } 1 .. 100000 ]) },
);
die "liar-server.pl: HOW is one of: @{[sort keys %answers]}\n" unless $answers{$how};

my $client;

sub get {
    my ($length, $data) = (shift, '');
    while (length $data < $length) {
        sysread($client, $data, $length - length $data, length $data) or exit 0;
    }
    return $data;
}

sub put {
    my $data = join '', @_;
    while (length $data) {
        my $n = syswrite $client, $data or exit 0;
        substr $data, 0, $n, '';
    }
}

sub put_option {
    my ($option, $type, $data) = (@_, '');
    put(pack('Q>NNN', 0x3e889045565a9, $option, $type, length $data), $data);
}

sub negotiate {
    put(pack('a8a8n', 'NBDMAGIC', 'IHAVEOPT', 3));
    get(4);
    for (;;) {
        my (undef, $option, $length) = unpack 'a8NN', get(16);
        my $data = get($length);
        if ($option == 10) {    # set meta context
            put_option($option, 4, pack('N', 1) . 'base:allocation');
            put_option($option, 1);
        } elsif ($option == 7) {    # go: size, then flags: read-only, several connections
            put_option($option, 3, pack('nQ>n', 0, $size, 1 | 2 | 256));
            put_option($option, 1);
            return;
        } else {                    # structured replies, or what we do not have
            put_option($option, $option == 8 ? 1 : 0x80000001);
        }
    }
}

sub put_chunk {
    my ($handle, $done, $type, $data) = @_;
    put(pack('Nnna8N', 0x668e33ef, $done, $type, $handle, length $data), $data);
}

sub serve {
    open my $image, '<:raw', $file or die "$file: $!";
    negotiate();
    for (;;) {
        my (undef, undef, $type, $handle, $offset, $length) = unpack 'Nnna8Q>N', get(28);
        if ($type == 0) {
            my $data = '';
            seek $image, $offset, 0;
            read $image, $data, $length;
            put_chunk($handle, 1, 1, pack('Q>', $offset) . $data);
        } elsif ($type == 7) {
            put_chunk($handle, 0, 5, pack 'N*', @$_) for $answers{$how}->($offset, $length);
            put_chunk($handle, 1, 0, '');
        } else {
            exit 0;
        }
    }
}

$SIG{CHLD} = 'IGNORE';
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 16) or die "$path: $!";
while ($client = $listener->accept()) {
    if (fork) {
        close $client;    # else its other end never sees this one end
        next;
    }
    close $listener;
    serve();
}
