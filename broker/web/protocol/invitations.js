/**
 * Invitations and the lobby: how outsiders come in.
 *
 * @import {InvitationCreated, InvitationInfo, LobbyWaiting} from "./frames.js"
 * @import {Event, Problem, Session, Step} from "./state.js"
 */

import { announce, send } from "./state.js";

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "invitation.ask"}>} event
 * @returns {Step}
 */
export function ask(state, { event: _, ref, ...asked }) {
  return [asking(state, ref), [send({ type: "invitation.create", ref, ...asked })]];
}

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "invitation.again"}>} event
 * @returns {Step}
 */
export function askAgain(state, { ref, invitation_id }) {
  return [asking(state, ref), [send({ type: "invitation.reissue", ref, invitation_id })]];
}

/**
 * @param {Session} state
 * @param {string} ref
 * @returns {Session}
 */
function asking(state, ref) {
  return { ...state, invitation_ref: ref, invitation_problem: null, fresh_invitation: null };
}

/**
 * @param {Session} state
 * @param {InvitationCreated} frame
 * @returns {Step}
 */
export function created(state, { ref, invitation, link }) {
  const again = state.invitations.some((known) => known.invitation_id === invitation.invitation_id);
  const next = changed(state, invitation);
  if (ref !== state.invitation_ref) return [next, []];
  const told = announce(`The invitation for ${invitation.guest_name} is ready to copy.`);
  return [{ ...next, invitation_ref: null, fresh_invitation: { invitation, link, again } }, [told]];
}

/**
 * A new one comes last; one that was there keeps its place.
 * @param {Session} state
 * @param {InvitationInfo} invitation
 * @returns {Session}
 */
export function changed(state, invitation) {
  const { invitations } = state;
  const at = invitations.findIndex((known) => known.invitation_id === invitation.invitation_id);
  return { ...state, invitations: at < 0 ? [...invitations, invitation] : invitations.with(at, invitation) };
}

/**
 * @param {Session} state
 * @param {Problem} problem
 * @returns {Session}
 */
export function refused(state, problem) {
  return { ...state, invitation_ref: null, invitation_problem: problem };
}

/**
 * @param {Session} state
 * @param {string} invitation_id
 * @returns {Session}
 */
export function gone(state, invitation_id) {
  const fresh = state.fresh_invitation;
  return {
    ...state,
    invitations: state.invitations.filter((invitation) => invitation.invitation_id !== invitation_id),
    fresh_invitation: fresh?.invitation.invitation_id === invitation_id ? null : fresh,
  };
}

/**
 * @param {Session} state
 * @param {LobbyWaiting} frame
 * @returns {Step}
 */
export function waiting(state, { waiting: newcomer }) {
  const { party, name } = newcomer.guest;
  const known = state.lobby.some(({ guest }) => guest.party === party);
  const lobby = [...state.lobby.filter(({ guest }) => guest.party !== party), newcomer];
  return [{ ...state, lobby }, known ? [] : [announce(`${name} is waiting in the lobby.`, true)]];
}

/**
 * @param {Session} state
 * @param {string} party
 * @returns {Session}
 */
export function leftLobby(state, party) {
  return { ...state, lobby: state.lobby.filter(({ guest }) => guest.party !== party) };
}
