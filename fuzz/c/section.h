/* In front of every source of shale-files: its functions lie together, so that it can be told whether it was one of them. */
#pragma clang section text = "shale_files"
