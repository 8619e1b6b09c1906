//! Doubly linked lists threaded through a slab: O(1) at both ends and in the middle (P15), without
//! allocation. An element can be in several lists at once, one for each of its links.

use slab::Slab;

const NONE: u32 = u32::MAX;

/// An element's neighbours in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    before: u32,
    after: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { before: NONE, after: NONE }
    }
}

/// Element of lists; `list` is the number of its links.
pub(super) trait Linked {
    fn links(&self, list: usize) -> Links;
    fn links_mut(&mut self, list: usize) -> &mut Links;
}

/// A list through the elements' links number `N`.
#[derive(Debug)]
pub(super) struct List<const N: usize> {
    front: u32,
    back: u32,
}

impl<const N: usize> Default for List<N> {
    fn default() -> Self {
        Self { front: NONE, back: NONE }
    }
}

impl<const N: usize> List<N> {
    pub(super) fn front(&self) -> Option<usize> {
        index(self.front)
    }

    pub(super) fn back(&self) -> Option<usize> {
        index(self.back)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front == NONE
    }

    pub(super) fn push_back<T: Linked>(&mut self, arena: &mut Slab<T>, at: usize) {
        let id = u32::try_from(at).expect("a pool has fewer than 2^32 elements: each is a socket or a waiting request");
        *arena[at].links_mut(N) = Links { before: self.back, after: NONE };
        match index(self.back) {
            Some(back) => arena[back].links_mut(N).after = id,
            None => self.front = id,
        }
        self.back = id;
    }

    /// Removes `at`, which is in this list.
    pub(super) fn remove<T: Linked>(&mut self, arena: &mut Slab<T>, at: usize) {
        let Links { before, after } = std::mem::take(arena[at].links_mut(N));
        match index(before) {
            Some(before) => arena[before].links_mut(N).after = after,
            None => self.front = after,
        }
        match index(after) {
            Some(after) => arena[after].links_mut(N).before = before,
            None => self.back = before,
        }
    }

    pub(super) fn after<T: Linked>(arena: &Slab<T>, at: usize) -> Option<usize> {
        index(arena[at].links(N).after)
    }

    pub(super) fn before<T: Linked>(arena: &Slab<T>, at: usize) -> Option<usize> {
        index(arena[at].links(N).before)
    }
}

fn index(link: u32) -> Option<usize> {
    (link != NONE).then_some(link as usize)
}
