/**
 * Invitations and the lobby: how outsiders come in.
 *
 * @import {InvitationCreated, LobbyWaiting} from "./frames.js"
 * @import {Event, Problem, Session, Step} from "./state.js"
 */

import { announce, send } from "./state.js";

/**
 * @param {Session} state
 * @param {Extract<Event, {event: "invitation.ask"}>} event
 * @returns {Step}
 */
export function ask(state, { ref, guest_name, guest_email, expires_in_seconds, redemptions }) {
  const next = { ...state, invitation_ref: ref, invitation_problem: null, fresh_invitation: null };
  return [next, [send({ type: "invitation.create", ref, guest_name, guest_email, expires_in_seconds, redemptions })]];
}

/**
 * @param {Session} state
 * @param {InvitationCreated} frame
 * @returns {Step}
 */
export function created(state, { ref, invitation, link }) {
  const invitations = [...state.invitations.filter((i) => i.invitation_id !== invitation.invitation_id), invitation];
  const ours = ref === state.invitation_ref;
  const next = { ...state, invitations, invitation_ref: ours ? null : state.invitation_ref };
  if (!ours) return [next, []];
  const told = announce(`The invitation for ${invitation.guest_name} is ready to copy.`);
  return [{ ...next, fresh_invitation: { invitation, link } }, [told]];
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
export function revoked(state, invitation_id) {
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
