//! Members of consumer groups within one process: who reads which partition. Nothing of it is
//! stored; how far a group has read is (see `group`), so members that come back after a
//! restart go on where the group stopped.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::Duration;

use cairn_types::{GroupName, Offset, Partition, Topic};

use crate::{Engine, Error, Result};

/// All members of all groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_group: HashMap<(GroupName, Topic), Members>,
}

#[derive(Debug, Default)]
struct Members {
    /// Grows whenever somebody comes or goes.
    generation: u64,
    /// Monotonic time at which a member that was not heard of is given up, by name.
    deadlines: BTreeMap<String, Duration>,
}

impl Members {
    /// Gives up members that were not heard of in time.
    fn expire(&mut self, now: Duration) {
        let before = self.deadlines.len();
        self.deadlines.retain(|_, deadline| *deadline > now);
        self.generation += u64::from(self.deadlines.len() < before);
    }

    /// The partitions of a member: members in the order of their names take turns, so that all
    /// see the same assignment.
    fn partitions(&self, member: &str, count: u32) -> Vec<Partition> {
        let Some(place) = self.deadlines.keys().position(|name| name == member) else {
            return Vec::new();
        };
        (0..count)
            .filter(|number| *number as usize % self.deadlines.len() == place)
            .map(Partition::new)
            .collect()
    }
}

/// A member's part of the work, valid for one generation of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: GroupName,
    /// The topic.
    pub topic: Topic,
    /// The member.
    pub member: String,
    /// Generation of the group that the assignment belongs to.
    pub generation: u64,
    /// Partitions that this member reads.
    pub partitions: Vec<Partition>,
    session: Duration,
}

impl Engine {
    /// Joins a group, or comes back to it. The member is given up when it is not heard of for
    /// `session`.
    ///
    /// # Errors
    /// [`Error::NoTopic`], [`Error::InvalidName`].
    pub fn join_group(
        &self,
        group: &str,
        topic: &str,
        member: &str,
        session: Duration,
    ) -> Result<Membership> {
        let group = GroupName::new(group)?;
        let entry = self.entry(topic)?;
        let topic = entry.meta.name.clone();
        let member = GroupName::new(member)?.as_str().to_owned();
        let now = self.log().clock().monotonic();
        let mut groups = self.shared.members.lock().unwrap_or_else(PoisonError::into_inner);
        let members = groups.by_group.entry((group.clone(), topic.clone())).or_default();
        members.expire(now);
        let deadline = now.saturating_add(session);
        if members.deadlines.insert(member.clone(), deadline).is_none() {
            members.generation += 1;
        }
        let partitions = members.partitions(&member, entry.meta.config.partitions);
        let generation = members.generation;
        Ok(Membership { group, topic, member, generation, partitions, session })
    }

    /// Says that a member is alive and returns its part, which is another one when members came
    /// or went.
    ///
    /// # Errors
    /// [`Error::UnknownMember`] when it was given up: join again.
    pub fn heartbeat(&self, membership: &Membership) -> Result<Membership> {
        let count = self.entry(membership.topic.as_str())?.meta.config.partitions;
        let now = self.log().clock().monotonic();
        let key = (membership.group.clone(), membership.topic.clone());
        let mut groups = self.shared.members.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Error::UnknownMember { member: membership.member.clone() };
        let members = groups.by_group.get_mut(&key).ok_or_else(unknown)?;
        members.expire(now);
        let deadline = members.deadlines.get_mut(&membership.member).ok_or_else(unknown)?;
        *deadline = now.saturating_add(membership.session);
        Ok(Membership {
            generation: members.generation,
            partitions: members.partitions(&membership.member, count),
            ..membership.clone()
        })
    }

    /// Leaves a group; the others take over its partitions.
    pub fn leave_group(&self, membership: &Membership) {
        let key = (membership.group.clone(), membership.topic.clone());
        let mut groups = self.shared.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(members) = groups.by_group.get_mut(&key)
            && members.deadlines.remove(&membership.member).is_some()
        {
            members.generation += 1;
        }
    }

    /// Remembers how far a member has read one of its partitions.
    ///
    /// # Errors
    /// [`Error::StaleMember`] when the group has changed since, so that a member that was given
    /// up cannot undo the progress of the one that took over; as [`Engine::commit`].
    pub fn commit_as(
        &self,
        membership: &Membership,
        partition: Partition,
        next: Offset,
    ) -> Result<()> {
        let now = self.log().clock().monotonic();
        let key = (membership.group.clone(), membership.topic.clone());
        let mut groups = self.shared.members.lock().unwrap_or_else(PoisonError::into_inner);
        let current = groups.by_group.get_mut(&key).map_or(0, |members| {
            members.expire(now);
            members.generation
        });
        if current != membership.generation || !membership.partitions.contains(&partition) {
            let generation = membership.generation;
            return Err(Error::StaleMember { generation, current });
        }
        // Still under the lock: the generation cannot change before the offset is stored.
        let (group, topic) = (membership.group.as_str(), membership.topic.as_str());
        self.commit(group, topic, partition.get(), next)
    }
}
