/* SPDX-License-Identifier: Apache-2.0 */

/* no-sync: a library for LD_PRELOAD that lets a program go on at once where it waits for the disk.
 * With it Landfall's first copy stands beside tools that do not wait either. For the benchmark
 * alone: what is written so does not outlive a power cut. */

int fsync(int fd);
int fdatasync(int fd);

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}
