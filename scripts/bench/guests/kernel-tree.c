/* A binary search tree of 8000 random keys, built, summed by recursion and descended; n times. Dependent loads, 64-bit compares. */
#include "base.h"

#define NODES 8000

struct node {
    struct node *left, *right;
    u64 key;
    s64 value;
};

static NOINLINE s64 sum_of(const struct node *node)
{
    if (!node)
        return 0;
    return node->value + sum_of(node->left) - (sum_of(node->right) >> 1);
}

u64 run_tree(u32 n, u32 size)
{
    u64 sum = 0;
    (void)size;
    for (u32 pass = 0; pass < n; pass++) {
        struct node *pool = (struct node *)heap, *root = 0;
        u32 used = 0;
        for (int i = 0; i < NODES; i++) {
            u64 high = next_random(), key = high << 20 ^ next_random();
            struct node **link = &root;
            while (*link && (*link)->key != key)
                link = key < (*link)->key ? &(*link)->left : &(*link)->right;
            if (*link)
                continue;
            struct node *node = pool + used++;
            node->left = node->right = 0;
            node->key = key;
            node->value = (s64)(key >> 3) - i;
            *link = node;
        }
        sum += sum_of(root);
        for (struct node *node = root; node; node = sum & 1 ? node->left : node->right)
            sum = sum * 3 + node->key;
    }
    return sum;
}
